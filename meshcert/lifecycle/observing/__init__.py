"""What is: the certificate, the labels of the secret, the services."""
