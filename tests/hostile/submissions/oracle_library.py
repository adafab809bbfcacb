"""Another library's answer."""
import transformers
