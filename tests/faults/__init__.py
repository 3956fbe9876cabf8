"""The traps of the archive, the network, the disk and hostile hands: what comes of a run that meets them (docs/faults.md)."""
