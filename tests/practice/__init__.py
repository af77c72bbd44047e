"""The seed's lesson, played with a real kubectl on a real cluster."""
