"""What is measured of pictures: activations of VGG-19 or our small copy, and losses."""

