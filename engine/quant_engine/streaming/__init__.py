"""Runs without calibration data: every weight is read, quantized and written once, without a model around it."""
