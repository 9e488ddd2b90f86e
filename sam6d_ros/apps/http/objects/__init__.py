"""Objects of the HTTP services: uploads, catalogue, template files, grasps."""
