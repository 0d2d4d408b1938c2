"""Volume claims and the namespaces that teams have left."""
