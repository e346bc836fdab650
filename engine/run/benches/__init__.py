"""Measurements that take long: speed, parity with published figures, the effects that papers claim."""
