"""The words of recipes and methods; imports nothing of jmim."""
