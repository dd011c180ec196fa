"""The paper's claims and what became of them: `text` says what they are, `findings` judges, `page` tells."""

from coreecho.claims.findings import survey
from coreecho.claims.page import heading, paragraph, printed_gap, summary, table

__all__ = ["heading", "paragraph", "printed_gap", "summary", "survey", "table"]
