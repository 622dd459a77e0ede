#!/usr/bin/env python3
"""Makes tests/data/vit and tests/data/vit-golden.safetensors: a small ViTForImageClassification with random
weights as transformers writes it, two pictures (height, width, channels) and its logits. Peer: transformers."""
import sys
import torch
import transformers
from safetensors.torch import save_file
from transformers import ViTConfig, ViTForImageClassification

out = sys.argv[1] if len(sys.argv) > 1 else "tests/data"
torch.manual_seed(3)
config = ViTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                   image_size=[8, 12], patch_size=[4, 4], num_channels=3, num_labels=3)
model = ViTForImageClassification(config).eval()
with torch.no_grad():
    for p in model.parameters():
        p.copy_(torch.randn(p.shape) * 0.3)
    pixels = torch.randn(2, 3, 8, 12)
    logits = model(pixels).logits
model.save_pretrained(out + "/vit")
save_file({"pixels": pixels.permute(0, 2, 3, 1).contiguous(), "logits": logits.contiguous()},
          out + "/vit-golden.safetensors", {"peer": "transformers " + transformers.__version__})
print(logits)
