"""A classifier as one ONNX file, in float32 or int8; light to import."""
