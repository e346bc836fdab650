"""Reconstruction: codes and step sizes learned block by block."""
