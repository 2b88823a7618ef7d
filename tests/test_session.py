"""What Spark raises reaches the user as one error."""

import pytest

from reclust_spark.errors import RunError
from reclust_spark.warehouse.session import named_failures


def _fail(batches):
    raise MemoryError("no room for 3 GiB")
    yield from batches


def test_a_failing_worker_is_named_with_its_cause(spark):
    with pytest.raises(RunError) as caught, named_failures("zoom"):
        spark.range(1).mapInPandas(_fail, "id long").count()
    assert caught.value.exit_status == 4
    assert "step zoom" in str(caught.value)
    assert "MemoryError: no room for 3 GiB" in str(caught.value)
    assert "reclust zoom" in str(caught.value)


def test_other_errors_are_left_alone():
    with pytest.raises(KeyError), named_failures("zoom"):
        raise KeyError("a bug")
