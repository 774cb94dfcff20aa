"""AWS and Docker on one machine, and the demo. Imports the product, but neither evidence nor tests."""
