"""Found networks for people: as ONNX, as a ``torch.export`` program, and as a classifier."""
