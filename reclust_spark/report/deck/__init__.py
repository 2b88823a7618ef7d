"""The deck for the meeting: `write_deck` makes it, `check_template` checks a user's design."""

from reclust_spark.report.deck.template import check_template
from reclust_spark.report.deck.write import write_deck

__all__ = ["check_template", "write_deck"]
