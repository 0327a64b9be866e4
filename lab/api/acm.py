"""AWS Certificate Manager: an imported certificate keeps its chain as given, and its tags when it is imported again."""

from typing import Any

from moto.acm.models import AWSCertificateManagerBackend

from lab.api import views
from lab.api.base import LabBackend


class LabACMBackend(LabBackend, AWSCertificateManagerBackend):  # type: ignore[misc]
    """Certificates of the rehearsal cloud."""

    service = "acm"

    def import_certificate(
        self, certificate: bytes, private_key: bytes, chain: bytes | None, arn: str | None, tags: list[dict[str, str]]
    ) -> str:
        """Import a certificate, or a new one under a known ARN."""
        before = self._certificates.get(arn)
        imported: str = super().import_certificate(certificate, private_key, chain, arn, tags)
        bundle = self._certificates[imported]
        # Without a chain ACM answers the certificate itself as its chain.
        bundle.chain = chain or certificate
        if before is not None:
            bundle.tags, bundle.in_use_by = before.tags, before.in_use_by
        return imported

    def view(self) -> list[views.Certificate]:
        """Return the certificates whose private key is known: the imported ones."""
        return [
            views.Certificate(
                arn=bundle.arn,
                domain=bundle.common_name,
                certificate=_text(bundle.cert),
                private_key=_text(bundle.key),
                chain="" if bundle.chain == bundle.cert else _text(bundle.chain),
            )
            for bundle in self._certificates.values()
            if bundle.type == "IMPORTED"
        ]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
