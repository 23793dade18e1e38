"""What every test here does: it prints its figures, in short runs as well."""

import pytest

from support import torture


@pytest.fixture
def tell(request, capsys):
    """Prints a line that pytest does not keep to itself."""
    return torture.teller(request, capsys)
