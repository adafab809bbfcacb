"""torch's whole attention."""

def scaled_dot_product_attention(q, k, v, mask=None, dropout_p=0.0, training=False):
    return F.scaled_dot_product_attention(q, k, v, mask)
