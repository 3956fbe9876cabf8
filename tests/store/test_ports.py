"""The ports of the store stay small enough to be implemented again."""

import inspect

import pytest

from downloader.store import port

MOST_METHODS = 12


def protocols() -> list[type]:
    """Every protocol of the port, but for the two sums."""
    found = [one for _, one in inspect.getmembers(port, inspect.isclass) if one.__module__ == port.__name__]
    return [one for one in found if one not in {port.Store, port.StoreReader}]


@pytest.mark.parametrize("protocol", protocols(), ids=lambda one: one.__name__)
def test_no_port_is_large(protocol: type) -> None:
    """A client sees what it needs."""
    methods = [name for name in vars(protocol) if not name.startswith("_")]
    assert 0 < len(methods) <= MOST_METHODS


def test_each_method_belongs_to_one_port() -> None:
    """So that it is known who may call it."""
    names = [name for protocol in protocols() for name in vars(protocol) if not name.startswith("_")]
    assert len(names) == len(set(names))
