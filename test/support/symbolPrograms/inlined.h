static inline __attribute__((always_inline)) int limit(int value, int high)
{
  if (value > high)
    return high;
  return value;
}

static inline __attribute__((always_inline)) int clamp(int value, int low, int high)
{
  if (value < low)
    return low;
  return limit(value, high);
}

static inline int twice(int value)
{
  int result = value;
  result += value;
  return result;
}
