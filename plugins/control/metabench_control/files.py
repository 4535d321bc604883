"""The upstream files of the sources, with their SHA-256."""

from __future__ import annotations

from metabench.hookspecs import DataFile

_SARCOS = (
    "https://raw.githubusercontent.com/Kaixhin/SARCOS/bd4800d952ec1a9153cdc84a325ac796f140265e"
)

SARCOS = DataFile(
    path="control/sarcos/sarcos_inv_test.mat",
    url=f"{_SARCOS}/sarcos_inv_test.mat",
    sha256="161a59b5c3b4f4b404584323f181607b2acbe620eb134dc720760dc3f38f5cec",
)
CASCADED_TANKS = DataFile(
    path="control/sysid/CTS/dataBenchmark.csv",
    sha256="ef2388ed822f3aef4aa80d6b0f2b466dd80b361786b3eafc7a2957c31ea323a7",
)
"""As in github.com/forgi86/sysid-neural-structures-fitting at commit 886c969c; the record is one of
nonlinearbenchmark.org. It is obtained by hand."""
