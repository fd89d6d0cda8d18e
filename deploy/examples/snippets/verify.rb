require "pg"

db = PG.connect(options: "-c otp.secret=#{ENV.fetch("OTPD_SECRET")}")
ask = ->(what) { print what, ": "; $stdout.flush; $stdin.gets.chomp }
begin
  db.exec_params("SELECT otp.request($1, $2, locale => 'ar')", ["user:1", ask["Phone number"]])
rescue PG::Error => error
  abort %i[SQLSTATE MESSAGE_PRIMARY MESSAGE_DETAIL].map { |f| error.result.error_field(PG.const_get("PG_DIAG_#{f}")) }.join(" ")
end
verified = db.exec_params("SELECT otp.verify($1, $2)", ["user:1", ask["Code"]]).getvalue(0, 0) == "t"
puts verified ? "verified" : "invalid or expired"
