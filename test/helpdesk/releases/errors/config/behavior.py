import itertools
import logging
import threading

from django.http import JsonResponse

logger = logging.getLogger("helpdesk.behavior")


class EveryFifthFails:
    """By count, not by chance: of any 100 requests in a row exactly 20 fail, whichever threads serve them."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()

    def __call__(self, request):
        with self.lock:
            number = next(self.numbers)
        if number % 5 == 0:
            logger.error("request %d fails on purpose", number)
            return JsonResponse({"error": "internal server error"}, status=500)
        return self.get_response(request)
