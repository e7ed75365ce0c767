"""What the gate will do on a day, and why a card would be let through or refused: asked of the core's own decisions."""
