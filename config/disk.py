"""What a configuration names on this machine: environment files, secrets, volumes, certificates,
the token.

Relative paths start at the configuration's folder, `~` is the home of whoever runs Tidegate.
Environment files and certificates are read here; of the others it is enough that they are there.
"""

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config import dotenv
from config.addresses import is_path
from config.certificates import BadCertificate, context_of
from config.errors import Finding, Place
from config.service import Secret, Service
from config.settings import Certificate, Gateway

LARGEST = 1 << 20  # bytes of an environment file; a kernel takes 2 MiB for all variables


@dataclass(slots=True)
class Disk:
    """Files around one configuration. An environment file is read once, however many share it."""

    folder: Path
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    _read: dict[str, dict[str, str] | str] = field(default_factory=dict)

    def take(self) -> list[Finding]:
        """The findings since the last time."""
        taken, self.findings = self.findings, []
        return taken

    def take_warnings(self) -> list[Finding]:
        """The warnings since the last time."""
        taken, self.warnings = self.warnings, []
        return taken

    def resolve(self, path: str) -> str:
        """The absolute path."""
        return os.path.normpath(self.folder.absolute() / os.path.expanduser(path))

    def present(self, path: str, place: Place) -> str:
        """The absolute path of a file that can be read; else there is a finding."""
        absolute = self.resolve(path)
        if not os.path.isfile(absolute):
            self.findings.append(Finding(place, f"there is no file {absolute}"))
        elif not os.access(absolute, os.R_OK):
            self.findings.append(Finding(place, f"{absolute} may not be read"))
        return absolute

    def warn_if_shared(self, absolute: str, place: Place) -> None:
        """A warning when others on this machine may read a file that is a secret."""
        with contextlib.suppress(OSError):
            if stat.S_IMODE(os.stat(absolute).st_mode) & 0o077:
                message = f"{absolute} may be read by others on this machine: chmod 600 {absolute}"
                self.warnings.append(Finding(place, message))

    def check_certificates(self, gateway: Gateway, place: Place) -> None:
        """Those of every TLS listener; findings for what cannot be used."""
        for number, listener in enumerate(gateway.tls):
            for index, one in enumerate(listener.certificates):
                self._check(one, (*place, "tls", number, "certificates", index))

    def _check(self, certificate: Certificate, place: Place) -> None:
        before = len(self.findings)
        cert = self.present(certificate.cert, (*place, "cert"))
        key = self.present(certificate.key, (*place, "key"))
        if len(self.findings) > before:
            return
        try:
            self.warn_if_shared(key, (*place, "key"))
            context_of(cert, key)
        except BadCertificate as bad:
            self.findings.append(Finding((*place, bad.which), str(bad)))

    def settle_gateway(self, gateway: Gateway) -> Gateway:
        """With absolute paths."""
        if not gateway.tls:
            return gateway
        listeners = tuple(
            listener.model_copy(
                update={
                    "certificates": tuple(
                        Certificate(cert=self.resolve(one.cert), key=self.resolve(one.key))
                        for one in listener.certificates
                    )
                }
            )
            for listener in gateway.tls
        )
        return gateway.model_copy(update={"tls": listeners})

    def settle(self, service: Service) -> Service:
        """The service with absolute paths, and its environment files under its `env`."""
        if not (service.env_file or service.secrets or service.volumes):
            return service
        update = {
            "env": self._env(service),
            "secrets": tuple(
                self._secret(secret, index) for index, secret in enumerate(service.secrets)
            ),
            "volumes": tuple(self._volume(volume) for volume in service.volumes),
        }
        return service.model_copy(update=update)

    def _env(self, service: Service) -> tuple[tuple[str, str], ...]:
        variables: dict[str, str] = {}
        for index, path in enumerate(service.env_file):
            variables |= self._variables(path, ("env_file", index))
        return tuple((variables | dict(service.env)).items())

    def _variables(self, path: str, place: Place) -> Mapping[str, str]:
        if path not in self._read:
            self._read[path] = self._parsed(self.resolve(path))
        found = self._read[path]
        if isinstance(found, str):
            self.findings.append(Finding(place, found))
            return {}
        return found

    def _parsed(self, path: str) -> dict[str, str] | str:
        """The variables, or what is wrong with the file."""
        try:
            with open(path, "rb") as file:
                content = file.read(LARGEST + 1)
            if len(content) > LARGEST:
                return f"{path} is larger than {LARGEST >> 20} MiB: is it the right file?"
            return dotenv.parse(content.decode())
        except FileNotFoundError:
            return f"there is no file {path}"
        except UnicodeDecodeError:
            return f"{path} is not UTF-8 text"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        except dotenv.BadEntry as error:
            return f"{path}:{error.line}: {error.message}"

    def _secret(self, secret: Secret, index: int) -> Secret:
        source = self.present(secret.source, ("secrets", index, "source"))
        return secret.model_copy(update={"source": source})

    def _volume(self, volume: str) -> str:
        source, _, rest = volume.partition(":")
        return f"{self.resolve(source)}:{rest}" if is_path(source) else volume
