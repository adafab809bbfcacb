"""The networks that the training engine trains, and what they share."""
