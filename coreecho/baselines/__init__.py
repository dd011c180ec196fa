"""The compared systems, one file each: what they minimise, written from the facts in their papers."""

from coreecho.baselines.adacon import AdaCon

__all__ = ["AdaCon"]
