"""Any echo file to a `Video`: the picture that every clip of the paper (section 3, "Implementation") is cut from.

from coreecho.video import read_video, to_square
video = to_square(read_video("clip.dcm"), 112)  # frames (T, 112, 112, 3), uint8
"""

from coreecho.video.base import MAX_BYTES, Video
from coreecho.video.fan import crop_to_fan, fan_mask
from coreecho.video.read import count_frames, is_video, read_video
from coreecho.video.resize import resample_seconds, to_square
from coreecho.video.volume import read_volume

__all__ = [
    "MAX_BYTES",
    "Video",
    "count_frames",
    "crop_to_fan",
    "fan_mask",
    "is_video",
    "read_video",
    "read_volume",
    "resample_seconds",
    "to_square",
]
