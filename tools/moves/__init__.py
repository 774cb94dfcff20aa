"""What ``make deploy`` refuses before it begins: what CloudFormation cannot carry out, or would lose."""
