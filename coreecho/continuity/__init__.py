"""How continuous an embedding is in EF: what Figure 1 shows, measured (section 4; gaps F)."""
