"""Images from their published layouts, or from any folder of folders."""

from toylin.images._folder import image_folder
from toylin.images._omniglot import omniglot
from toylin.images._published import SPLITS, cifar_fs, mini_imagenet, published_split

__all__ = ["SPLITS", "cifar_fs", "image_folder", "mini_imagenet", "omniglot", "published_split"]
