"""CAD files become ObjectModels, once, cached by content."""
