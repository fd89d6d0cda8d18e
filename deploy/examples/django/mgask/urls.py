from django.urls import path

from phones import views
from phones.models import Rider, User

urlpatterns = [
    path("api/core/send-otp/", views.send_otp, {"model": User}),
    path("api/core/call-me/", views.send_otp, {"model": User, "channel": "call"}),
    path("api/core/email-me/", views.send_otp, {"model": User, "channel": "email"}),
    path("api/core/verify-otp/", views.verify_otp, {"model": User}),
    path("api/core/delivery/", views.delivery, {"model": User}),
    path("api/riders/send-otp/", views.send_otp, {"model": Rider}),
    path("api/riders/call-me/", views.send_otp, {"model": Rider, "channel": "call"}),
    path("api/riders/email-me/", views.send_otp, {"model": Rider, "channel": "email"}),
    path("api/riders/verify-otp/", views.verify_otp, {"model": Rider}),
    path("api/riders/delivery/", views.delivery, {"model": Rider}),
]
