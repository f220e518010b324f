"""Image data sets behind one small interface: a named source loads three parts of images and labels."""

from a4nn_core.data.base import DATA_SOURCES, DataSource, ImageData, InputTransform, Split, split_parts

__all__ = ["DATA_SOURCES", "DataSource", "ImageData", "InputTransform", "Split", "split_parts"]
