require "pg"

db = PG.connect(options: "-c otp.secret=#{ENV.fetch("OTPD_SECRET")}")
ask = ->(what) { print what, ": "; $stdout.flush; $stdin.gets.chomp }
begin
  db.exec_params("SELECT otp.request($1, $2, locale => 'ar')", ["user:1", ask["Phone number"]])
rescue PG::ServerError => error
  fields = [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_MESSAGE_PRIMARY, PG::PG_DIAG_MESSAGE_DETAIL]
  abort fields.filter_map { |field| error.result.error_field(field) }.join(" ")
end
verified = db.exec_params("SELECT otp.verify($1, $2)", ["user:1", ask["Code"]]).getvalue(0, 0) == "t"
puts verified ? "verified" : "invalid or expired"
