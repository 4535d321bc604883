from wheel_cases import installed

__all__ = ["installed"]
