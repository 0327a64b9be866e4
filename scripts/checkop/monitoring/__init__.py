"""CloudWatch: log groups, metric filters, alarms, the topic, the dashboard, and who may read them."""
