"""A network as an ONNX graph, written operator by operator, and run by ONNX Runtime."""
