"""
The local AWS: MiniStack under an overlay, started by ``python -m local.aws`` in an environment of its own.

``certificates`` (Private CA and ACM's private certificates), ``fargate``, ``iam`` and ``faults`` are what no emulator
has; ``patches`` is where the pinned MiniStack departs from AWS. ``account`` holds what is kept for each account,
``server`` puts everything together, ``hooks`` is the one way into MiniStack's private parts.

MiniStack was chosen by trial: with moto 5.2.5 ``cdk deploy`` stops at the first change set, its Private CA makes RSA
keys of 2048 bits only and ignores a certificate's validity, and its ACM cannot renew. The overlay runs inside
MiniStack's process because a proxy in front could not reach CloudFormation's types, IAM's decisions and EventBridge.
"""
