"""Stand-in for the Amazon CloudWatch agent: configuration, AWS calls, log files and metrics (docs/stand-ins.md)."""

VERSION = "1.247358.0b252413"
HOME = "/opt/aws/amazon-cloudwatch-agent"
