"""Readers of mesh files: glTF, OBJ with MTL, PLY and STL."""
