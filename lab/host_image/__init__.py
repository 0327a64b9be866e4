"""The image of a rehearsed host: real CentOS 7 where it can be pulled, otherwise a stand-in (docs/stand-ins.md)."""
