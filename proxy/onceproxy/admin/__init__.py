"""The admin listener: health and metrics, and the door that all of it is behind."""
