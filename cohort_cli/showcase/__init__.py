"""What a group shows of its models. Here: the model that runs in a web page (browser.py, assets/)."""
