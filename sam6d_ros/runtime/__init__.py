"""What keeps objects and stages alive between frames, whatever shell is around them."""
