"""What if: the production code between made-up clients, replicas and clocks."""
