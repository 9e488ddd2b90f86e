"""An RGB-D recording becomes a mesh and an entry of the objects file."""
