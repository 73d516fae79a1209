"""Writes cmyk.jpg: 16 x 16 pixels of CMYK, as Photoshop and 22 photos of ImageNet have it. Prints what Pillow makes of it."""
from PIL import Image

image = Image.new("CMYK", (16, 16), (200, 40, 10, 30))
image.save("cmyk.jpg", quality=90, optimize=True)
print(Image.open("cmyk.jpg").convert("RGB").getpixel((5, 5)))
image = Image.new("RGB", (48, 32), (200, 120, 40))
image.save("progressive.jpg", quality=90, optimize=True, progressive=True)
print(Image.open("progressive.jpg").getpixel((5, 5)))
