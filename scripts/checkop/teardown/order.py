"""The order in which an environment is removed: users before what they use."""

from __future__ import annotations

from checkop.teardown import compute, data, edge, identity, network, observe

ORDER = (*compute.KINDS, *edge.KINDS, *data.KINDS, *network.KINDS, *observe.KINDS, *identity.KINDS)
